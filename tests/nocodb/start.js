// SPDX-License-Identifier: MIT
// A NocoDB on a port of the loopback address.
"use strict";

(async () => {
    const app = require("express")();
    const { Noco } = require("nocodb");
    const server = app.listen(Number(process.env.PORT), "127.0.0.1");

    app.use(await Noco.init({}, server, app));
    console.log("NocoDB is ready");
})().catch((error) => {
    console.error(error);
    process.exit(1);
});

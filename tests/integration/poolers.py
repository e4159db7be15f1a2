# SPDX-License-Identifier: MIT
"""Poolers and stand-ins before PostgreSQL, started for a test: PgBouncer, pgpool-II, Odyssey, PGlite's socket server.

Each lives in a folder of its own, listens on 127.0.0.1 only, runs as nobody in particular when the test is root, and
is gone when the test is. They are what is installed; what is not is a Skip with its reason.
"""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import tap

HERE = pathlib.Path(__file__).resolve().parent


def unprivileged():
    """The words before a command that make it run as somebody else when we are root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--inh-caps=-all"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find(program):
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise tap.Skip(f"{program} is not installed")
    return found


class Server:
    """The temporary cluster that with_postgres.sh made."""

    def __init__(self):
        parts = urllib.parse.urlsplit(os.environ["WEIR_TEST_PG_SOCKET_URL"])
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.directory, self.port, self.user = query["host"], int(query["port"]), parts.username

    def psql(self, sql, check=True):
        command = [os.environ["WEIR_TEST_PG_BIN"] + "/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p",
                   str(self.port), "-U", self.user, "-d", "weir", "-c", sql]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def control(self, what):
        subprocess.run([os.environ["WEIR_TEST_PG_CONTROL"], what], check=True, timeout=90)


class Pooler:
    """One process; subclasses write its settings and say how it is started."""

    name = ""
    database = "weir"
    user = "weir"

    def __init__(self, server, mode="transaction", **settings):
        self.server, self.mode, self.settings = server, mode, settings
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"weir-{self.name}."))
        self.process = None
        self.command = self.prepare()
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def prepare(self):
        raise NotImplementedError

    def url(self, **options):
        query = urllib.parse.urlencode(options)
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}" + (f"?{query}" if query else "")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(unprivileged() + self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.folder, start_new_session=True)
        end = time.monotonic() + 60
        while True:
            assert self.process.poll() is None and time.monotonic() < end, f"{self.name} did not start:\n{self.log()}"
            if self.is_listening():
                return self
            time.sleep(0.05)  # nothing tells when it listens

    def is_listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self):
        """At once: sessions are cut."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class PgBouncer(Pooler):
    """With its defaults: nothing about startup parameters, prepared statements or timeouts is set."""

    name = "pgbouncer"

    def prepare(self):
        (self.folder / "users").write_text(f'"{self.user}" ""\n')
        lines = ["[databases]", f"weir = host={self.server.directory} port={self.server.port} dbname=weir user={self.server.user}",
                 "[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {self.port}", "unix_socket_dir =",
                 "auth_type = trust", f"auth_file = {self.folder}/users", f"pool_mode = {self.mode}"]
        lines += [f"{key} = {value}" for key, value in self.settings.items()]
        (self.folder / "ini").write_text("\n".join(lines) + "\n")
        return [find("pgbouncer"), str(self.folder / "ini")]

    @staticmethod
    def version():
        text = subprocess.run([find("pgbouncer"), "--version"], capture_output=True, text=True).stdout
        return tuple(int(part) for part in text.split()[1].split("."))


class Pgpool(Pooler):
    """Before one backend. It keeps a server's session for each client session: its only mode."""

    name = "pgpool"

    def prepare(self):
        settings = {"listen_addresses": "'127.0.0.1'", "port": self.port, "unix_socket_directories": f"'{self.folder}'",
                    "socket_dir": f"'{self.folder}'", "pcp_listen_addresses": "''", "pcp_port": free_port(),
                    "pcp_socket_dir": f"'{self.folder}'", "backend_clustering_mode": "'streaming_replication'",
                    "backend_hostname0": f"'{self.server.directory}'", "backend_port0": self.server.port,
                    "backend_flag0": "'DISALLOW_TO_FAILOVER'", "pid_file_name": f"'{self.folder}/pid'",
                    "logdir": f"'{self.folder}'", "work_dir": f"'{self.folder}'", "log_destination": "'stderr'",
                    "num_init_children": 40, "max_pool": 1, "sr_check_period": 0, **self.settings}
        if self.pgpool_version() >= (4, 3):
            del settings["socket_dir"]
        (self.folder / "conf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        for file in ("pcp", "hba", "passwd"):
            (self.folder / file).write_text("")
        return [find("pgpool"), "-n", "-f", str(self.folder / "conf"), "-F", str(self.folder / "pcp"),
                "-a", str(self.folder / "hba")]

    @staticmethod
    def pgpool_version():
        text = subprocess.run([find("pgpool"), "--version"], capture_output=True, text=True)
        words = (text.stdout + text.stderr).split()
        return tuple(int(part) for part in words[words.index("version") + 1].split("."))


class Odyssey(Pooler):
    """One database, trusted, with what its example has for the rest."""

    name = "odyssey"

    def prepare(self):
        rule = {"authentication": '"none"', "storage": '"server"', "pool": f'"{self.mode}"', "pool_size": 20,
                "client_fwd_error": "yes", **self.settings}
        lines = ["daemonize no", 'log_format "%p %t %l %m\\n"', "log_to_stdout yes", "workers 1", "listen {",
                 '    host "127.0.0.1"', f"    port {self.port}", "}", 'storage "server" {', '    type "remote"',
                 '    host "127.0.0.1"', f"    port {self.server.port}", "}", 'database "weir" {', '    user "weir" {',
                 f'        storage_user "{self.server.user}"',
                 f'        storage_password "{os.environ["WEIR_TEST_PG_PASSWORD"]}"']
        lines += [f"        {key} {value}" for key, value in rule.items()] + ["    }", "}"]
        (self.folder / "conf").write_text("\n".join(lines) + "\n")
        return [find("odyssey"), str(self.folder / "conf")]


class PGlite(Pooler):
    """PostgreSQL in WebAssembly behind its socket server; one client at a time is its default."""

    name = "pglite"
    database = user = "postgres"

    def prepare(self):
        node = find("node")
        home = pathlib.Path(os.environ.get("WEIR_TEST_PGLITE", "")) / "node_modules/@electric-sql/pglite-socket"
        if not home.is_dir():
            raise tap.Skip("PGlite's socket server could not be had from npm")
        settings = {"db": "memory://", "host": "127.0.0.1", "port": self.port, **self.settings}
        return [node, str(home / "dist/scripts/server.js"), *(f"--{key}={value}" for key, value in settings.items())]

    def start(self):
        (self.folder / "log").unlink(missing_ok=True)  # where it said that it listens, the last time
        return super().start()

    def is_listening(self):
        """As it says: whoever connects to see takes the place of the one client for a while."""
        return "listening on" in self.log()

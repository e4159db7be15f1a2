#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many workers and connections `weir serve` wants on how many cores: rounds in turn, so that only ratios count.

usage: bench/serve_workers.py WEIR SERVE_LOAD [--cores 1,2] [--rounds N] [--seconds N] [--connections N] [--path PATH] [--set workers=4,pool_size=4 ...]

Each server is pinned with taskset to the first of the cores that this process may use; the load has the others, or all of them when
the server has all. The main database is SQL_CONN_STRING, or a file of SQLite made for the purpose.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

SECRET = "a secret of more than thirty-two bytes"


def start(program, directory, cores, settings):
    """A server with these flags; of them, pool_size is an option of the database's URL."""
    url = os.environ.get("SQL_CONN_STRING", f"sqlite:///{directory}/weir.db")
    if "pool_size" in settings:
        url += ("&" if "?" in url else "?") + "pool_size=" + settings["pool_size"]
    flags = [word for name, value in settings.items() if name != "pool_size" for word in (f"--{name}", value)]
    environment = {**os.environ, "JWT_SECRET": SECRET, "SQL_CONN_STRING": url}
    server = subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), program, "serve", "--port", "0", "--log-level", "ERROR", *flags],
                              cwd=directory, env=environment, stdout=subprocess.PIPE, text=True)
    port = re.search(r":(\d+)$", server.stdout.readline().strip())[1]
    return server, port


def cost(server):
    """Processor time of the server so far, in seconds, and how often its threads gave up a processor."""
    with open(f"/proc/{server.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    switches = 0
    for thread in os.listdir(f"/proc/{server.pid}/task"):
        with open(f"/proc/{server.pid}/task/{thread}/status") as status:
            switches += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", status.read())))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), switches


def run(arguments, server_cores, load_cores, settings):
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as directory:
        server, port = start(arguments.program, directory, server_cores, settings)
        try:
            token = subprocess.run([arguments.program, "token", "--sub", "bench"], env={**os.environ, "JWT_SECRET": SECRET}, cwd=directory,
                                   capture_output=True, text=True, check=True).stdout.strip()
            command = ["taskset", "-c", ",".join(map(str, load_cores)), arguments.load, port, arguments.path, token, str(arguments.connections)]
            subprocess.run([*command, "0.3"], check=True, capture_output=True)
            before = cost(server)
            seen = json.loads(subprocess.run([*command, str(arguments.seconds)], check=True, capture_output=True, text=True).stdout)
            after = cost(server)
            requests = seen["rate"] * arguments.seconds
            return {**seen, "cpu_us": (after[0] - before[0]) * 1e6 / requests, "switches": (after[1] - before[1]) / requests}
        finally:
            server.terminate()
            server.wait(30)


def measure(arguments, count):
    mine = sorted(os.sched_getaffinity(0))
    server_cores, load_cores = mine[:count], mine[count:] or mine
    settings = [dict(pair.split("=") for pair in one.split(",")) for one in arguments.set]
    seen = [[] for _ in settings]
    for number in range(arguments.rounds):
        order = list(range(len(settings)))
        for index in order if number % 2 == 0 else reversed(order):
            seen[index].append(run(arguments, server_cores, load_cores, settings[index]))
    base = seen[0]
    print(f"{count} {'core' if count == 1 else 'cores'} for the server, the load on {len(load_cores)}, "
          f"{arguments.connections} connections, {arguments.rounds} rounds of {arguments.seconds} s, load average {os.getloadavg()[0]:.1f}")
    print(f"{'':<28} {'requests/s':>10} {'cpu us':>8} {'of the first:':>14} {'rate':>5} {'cpu':>5} {'switches':>9} {'p50 ms':>8} {'p99 ms':>8} {'503':>6}")
    for setting, runs in zip(arguments.set, seen):
        rate, cpu = (statistics.median(one[key] / first[key] for one, first in zip(runs, base)) for key in ("rate", "cpu_us"))
        of = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        print(f"{setting:<28} {of['rate']:>10.0f} {of['cpu_us']:>8.0f} {'':>14} {rate:>5.2f} {cpu:>5.2f} {of['switches']:>9.2f} "
              f"{of['p50_ms']:>8.2f} {of['p99_ms']:>8.2f} {of['busy']:>6.0f}", flush=True)
        assert all(one["bad"] == 0 for one in runs), runs


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("load", type=os.path.abspath)
    parser.add_argument("--cores", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--path", default="/api/v1/tables/Jurisdictions/CHE")
    parser.add_argument("--set", action="append")
    arguments = parser.parse_args()
    arguments.set = arguments.set or [f"workers={n}" for n in (1, 2, 3, 4, 6, 8, 16)]
    for count in map(int, arguments.cores.split(",")):
        if count > len(os.sched_getaffinity(0)):
            sys.exit(f"only {len(os.sched_getaffinity(0))} cores are there")
        measure(arguments, count)


if __name__ == "__main__":
    main()

#!/usr/bin/python3 -IB
"""Replaces cockpit-bridge: reports its properties and its signals on the socket, and obeys commands from it."""
import json, os, signal, sys


def send(message):
    body = b"\n" + json.dumps(message).encode()
    os.write(1, b"%d\n" % len(body) + body)


def attempt(action):
    try:
        action()
    except OSError:
        return False
    return True


def environment():
    with open("/proc/self/environ", "rb") as file:
        entries = file.read().rstrip(b"\0").split(b"\0")
    return dict(os.fsdecode(entry).split("=", 1) for entry in entries)


def status(names):
    with open("/proc/self/status") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    return {name: fields[name].strip() for name in names}


def descriptors():
    # The folder itself is open while it is read.
    return sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name))


def got(number, _frame):
    send({"signal": signal.Signals(number).name})
    if number == signal.SIGTERM:
        sys.exit(0)


report = {
    "command": "init",
    "uids": os.getresuid(),
    "gids": os.getresgid(),
    "groups": sorted(os.getgroups()),
    "cwd": os.getcwd(),
    "environment": environment(),
    "descriptors": descriptors(),
    "status": status(["CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk", "SigIgn", "PPid", "NoNewPrivs"]),
    "arguments": sys.argv[1:],
    "regained": {
        "setuid": attempt(lambda: os.setuid(0)),
        "seteuid": attempt(lambda: os.seteuid(0)),
        "setresuid": attempt(lambda: os.setresuid(0, 0, 0)),
        "setgid": attempt(lambda: os.setgid(0)),
        "setgroups": attempt(lambda: os.setgroups([0])),
        "shadow": attempt(lambda: open("/etc/shadow").close()),
    },
}
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, got)
send(report)

for line in sys.stdin:
    words = line.split()
    if words[0] == "exit":
        sys.exit(int(words[1]))
    if words[0] == "die":
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGUSR1)
    if words[0] == "stubborn":
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        send({"stubborn": True})
        while True:
            signal.pause()
    if words[0] == "deaf":
        send({"deaf": True})
        while True:
            signal.pause()

"""Who may send: users, clients with keys of their own, refused addresses, and changes by SIGHUP."""
import json
import os
import random
import re
import signal

import forward

from forward import Closed
from harness import Skip, cases, children, equal

T = forward.event_time(1700000000, 1)
KEY, TEN, THREE = "key-of-the-fleet", "key-of-127-10", "key-of-127-10-0-3"
PASSWORDS = {"alice": "w0nder-land", "bob": "bu1lder-yes"}
CLIENTS = [
    {"network": "127.10.0.0/16", "shared_key": TEN, "users": ["alice"]},
    {"host": "127.10.0.3", "shared_key": THREE},
    {"network": "127.11.0.0/16"},
]
USERS = [{"name": n, "password": p} for n, p in PASSWORDS.items()]
SECRETS = [KEY, TEN, THREE] + list(PASSWORDS.values())


def file_options(**kw):
    return {"forward.shared_key": KEY, "forward.clients": CLIENTS, "forward.users": USERS,
            **{"forward." + k: v for k, v in kw.items()}}


def secured(ctx, how="file", **kw):
    if how == "file":
        return ctx.sluice(options=file_options(**kw))
    env = {"FLUENTD_SHARED_KEY": KEY, "SLUICE_FORWARD_CLIENTS": json.dumps(CLIENTS),
           "SLUICE_FORWARD_USERS": json.dumps(USERS, indent=4)}
    if how == "files":
        for name in list(env):
            path = ctx.path(name)
            with open(path, "w") as f:
                f.write(env.pop(name) + "\n")
            env[name + "_FILE"] = path
    return ctx.sluice(env=env, options={"forward." + k: v for k, v in kw.items()})


def reason(sluice, **kw):
    """Why such a client is refused, as it is told; "" where it is let in."""
    try:
        sluice.connect(**kw).close()
        return ""
    except Closed as e:
        found = re.match("refused: (.*)", str(e))
        assert found, "closed without a reason: %s" % e
        return found.group(1)


def user(name, password=None):
    return (name, PASSWORDS.get(name, "") if password is None else password)


NO_KEY, NO_USER = "shared_key mismatch", "username/password mismatch"

# (from, key, user, what it is told)
WHO = [
    ("127.0.0.1", KEY, user("alice"), ""),
    ("127.0.0.1", KEY, user("bob"), ""),
    ("127.0.0.1", TEN, user("alice"), NO_KEY),
    ("127.0.0.1", KEY, None, NO_USER),
    ("127.0.0.1", KEY, user("alice", "w0nder-lane"), NO_USER),
    ("127.0.0.1", KEY, user("alice", ""), NO_USER),
    ("127.0.0.1", KEY, user("carol", "w0nder-land"), NO_USER),
    ("127.10.9.9", TEN, user("alice"), ""),
    ("127.10.9.9", TEN, user("bob"), NO_USER),
    ("127.10.9.9", KEY, user("alice"), NO_KEY),
    ("127.10.9.9", THREE, user("alice"), NO_KEY),
    ("127.10.0.3", THREE, user("bob"), ""),
    ("127.10.0.3", TEN, user("alice"), NO_KEY),
    ("127.11.0.1", KEY, user("bob"), ""),
    ("127.11.0.1", TEN, user("bob"), NO_KEY),
]


@cases("file", "environment", "files")
def test_who(ctx, case):
    """From the file, from the environment, and from files that it names."""
    sluice = secured(ctx, case)
    for source, key, who, told in WHO:
        equal(reason(sluice, source=source, key=key, user=who), told,
              "%s with %s as %s" % (source, key, who))
    told = [row[3] for row in WHO]
    equal(sluice.metric("handshakes_wrong_key_total"), told.count(NO_KEY), "wrong keys")
    equal(sluice.metric("handshakes_wrong_user_total"), told.count(NO_USER), "wrong users")
    equal(sluice.metric("handshakes_malformed_total"), 0, "malformed")


@cases("whole", "bytes", "random")
def test_message_behind_ping(ctx, case):
    """PING with a user and the first message, cut anywhere."""
    sluice = secured(ctx)
    client = sluice.connect(user=user("alice"))
    helo = client.helo()
    equal(len(helo["auth"]), 16, "bytes of auth")
    client.send(client.ping(helo, KEY) + forward.message("t", (T, {"serial": 0}), {"chunk": "a"}),
                case, random.Random(3))
    client.pong(helo, KEY)
    equal(client.ack(), "a", "ack")
    assert sluice.connect().helo()["auth"] != helo["auth"], "one auth on two connections"
    equal([r["attributes"]["serial"] for r in sluice.wait_file_records(1)], [0], "serials")


def test_unknown_clients(ctx):
    """Refused by their address, before their key is looked at; nothing of theirs is stored."""
    sluice = secured(ctx, allow_unknown_clients=False)
    denied = "anonymous source host '127.0.0.1' denied"
    for key in (KEY, "wrong"):
        client = sluice.connect()
        helo = client.helo()
        client.send(client.ping(helo, key) + forward.message("t", (T, {"serial": 0}),
                                                             {"chunk": "a"}))
        client.wait_closed()
        equal(client.receive(0.1), ["PONG", False, denied, "", ""], "PONG")
        assert b"\xa3ack" not in client.received
    equal(sluice.metric("handshakes_wrong_source_total"), 2, "counted")
    sluice.wait_log("client 127.0.0.1:[0-9]+: handshake refused: anonymous source host")
    good = sluice.connect(source="127.11.0.1", key=KEY, user=user("bob"))
    good.send(forward.message("t", (T, {"serial": 1}), {"chunk": "b"}))
    equal(good.ack(), "b", "ack")
    equal([r["attributes"]["serial"] for r in sluice.wait_file_records(1)], [1], "serials")


def test_keys_of_clients_alone(ctx):
    """In production, on all addresses, without a common key; IPv4 and IPv6."""
    sluice = ctx.sluice(options={
        "environment": "production", "forward.bind": "*", "forward.allow_unknown_clients": False,
        "forward.clients": [{"network": "127.0.0.0/8", "shared_key": TEN},
                            {"host": "::1", "shared_key": THREE}]})
    equal(reason(sluice, key=TEN), "", "over IPv4")
    equal(reason(sluice, key=THREE), NO_KEY, "the other's key over IPv4")
    try:
        equal(reason(sluice, host="::1", key=THREE), "", "over IPv6")
    except OSError:
        raise Skip("no IPv6 here")
    equal(reason(sluice, host="::1", key=TEN), NO_KEY, "the other's key over IPv6")


def hangup(sluice, pattern):
    """SIGHUP, and waits for what it says then."""
    after = len(sluice.stderr())
    sluice.process.send_signal(signal.SIGHUP)
    sluice.wait_log(pattern, after=after)


def taken_up(sluice, what):
    """SIGHUP, and waits until the receiver goes by the new lists."""
    hangup(sluice, '"process":"receiver".*reload: who may send: ' + what)


def test_reload(ctx):
    """A user more, a client's key changed, a network let in: open connections stay."""
    sluice = secured(ctx, allow_unknown_clients=False)
    pid = sluice.pid("receiver")
    client = sluice.connect(source="127.10.9.9", key=TEN, user=user("alice"))
    half = forward.message("t", (T, {"serial": 0}), {"chunk": "a"})
    client.send(half[:9])
    equal(reason(sluice, source="127.11.0.1", key=KEY, user=("carol", "new-here")), NO_USER,
          "before")
    equal(reason(sluice, key=KEY, user=user("bob")), "anonymous source host '127.0.0.1' denied",
          "before")
    sluice.options.update({
        "forward.users": USERS[1:] + [{"name": "carol", "password": "new-here"}],
        "forward.clients": [{"network": "127.10.0.0/16", "shared_key": THREE}] + CLIENTS[2:],
        "forward.allow_unknown_clients": True})
    sluice.write_config()
    taken_up(sluice, "with forward.shared_key, 2 clients in forward.clients, 2 users")
    equal(reason(sluice, source="127.11.0.1", key=KEY, user=("carol", "new-here")), "", "after")
    equal(reason(sluice, key=KEY, user=user("bob")), "", "after, from elsewhere")
    equal(reason(sluice, source="127.10.9.9", key=TEN, user=user("bob")), NO_KEY, "the old key")
    equal(reason(sluice, source="127.10.9.9", key=THREE, user=user("alice")), NO_USER,
          "a user that is no more")
    # Its user is gone and its key is another one now, but it was let in.
    client.send(half[9:])
    equal(client.ack(), "a", "ack")
    equal(sluice.pid("receiver"), pid, "pid of the receiver")
    # To no handshake at all, and back.
    for name in ("shared_key", "users", "clients"):
        del sluice.options["forward." + name]
    sluice.write_config()
    taken_up(sluice, "everybody, without a handshake")
    plain = sluice.connect()
    plain.send(forward.message("t", (T, {"serial": 1}), {"chunk": "b"}))
    equal(plain.ack(), "b", "ack without a handshake")
    sluice.options["forward.shared_key"] = KEY
    sluice.write_config()
    taken_up(sluice, "with forward.shared_key, 0 clients in forward.clients, 0 users")
    equal(reason(sluice, key=KEY), "", "with the key alone")
    plain.send(forward.message("t", (T, {"serial": 2}), {"chunk": "c"}))
    equal(plain.ack(), "c", "ack of the one that was there")
    equal(sluice.pid("receiver"), pid, "pid of the receiver")


# name: (options, pattern of the mistake)
BAD = {
    "unknown user": ({"forward.clients": [{"host": "127.0.0.1", "users": ["hush"]}]},
                     r":\d+: error: forward.clients: element 1: its user 1 is not in forward.users"),
    "unknown name": ({"forward.users": USERS + [{"name": "x", "pass": "hush"}]},
                     r":\d+: error: forward.users: element 3: has an unknown name"),
    "host name": ({"forward.clients": [{"host": "hush.example"}]},
                  r":\d+: error: forward.clients: element 1: host is not an address"),
    "bad network": ({"forward.clients": [{"network": "10.0.0.0/64"}]},
                    r":\d+: error: forward.clients: element 1: network is none"),
    "both": ({"forward.clients": CLIENTS + [{"host": "127.0.0.1", "network": "127.0.0.0/8"}]},
             r":\d+: error: forward.clients: element 4: needs a host or a network, not both"),
    "twice": ({"forward.users": USERS + [{"name": "bob", "password": "hush"}]},
              r":\d+: error: forward.users: element 3: has the same name as element 2"),
    "no key": ({"forward.shared_key": None, "forward.clients": [{"host": "127.0.0.1"}],
                "forward.allow_unknown_clients": False},
               r":\d+: error: forward.clients: element 1: has no shared_key"),
    "json": ({"forward.users": "[{\"name\": hush}]"},
             r":\d+: error: forward.users: is no list of objects in JSON: a text .* at byte 11"),
}


@cases(*BAD)
def test_bad_list(ctx, case):
    """Refused at the start and at SIGHUP, with file, line, option and element, without a value."""
    options, pattern = BAD[case]
    sluice = secured(ctx)
    good = dict(sluice.options)
    sluice.options.update(options)
    sluice.options = {k: v for k, v in sluice.options.items() if v is not None}
    sluice.write_config()
    pattern = re.escape(sluice.config) + pattern
    done = ctx.run([ctx.sluiced, "--check-config", "--config", sluice.config], check=False,
                   env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0"})
    equal(done.returncode, 78, "exit status")
    assert re.search(pattern, done.stderr + done.stdout), done.stderr + done.stdout
    hangup(sluice, "reload: .*" + pattern)
    equal(reason(sluice, key=KEY, user=user("alice")), "", "what was in force goes on")
    said = sluice.stderr().decode() + done.stderr + done.stdout + sluice.ctl("status").stdout
    for secret in SECRETS + ["hush"]:
        assert secret not in said, "%s shows" % secret
    sluice.options = good
    sluice.write_config()
    hangup(sluice, "reload: 0 options changed")


@cases("file", "environment", "files")
def test_secrets(ctx, case):
    """Neither keys nor passwords show, in what it says or where others can look."""
    if os.geteuid() != 0:
        raise Skip("needs root to look into the stages")
    sluice = secured(ctx, case, **{})
    sluice.stop()
    sluice.options["log.level"] = "debug"
    sluice.write_config()
    sluice.start()
    for source, key, who, _ in WHO:
        reason(sluice, source=source, key=key, user=who)
    hangup(sluice, "reload: 0 options changed")
    old = sluice.pid("receiver")
    sluice.restart("receiver")
    sluice.wait_running("receiver", other_than=old)
    equal(reason(sluice, key=KEY, user=user("bob")), "", "after a restart of the receiver")
    shown = ctx.run([ctx.sluiced, "--show-config", "--config", sluice.config],
                    env=dict(sluice.environment(), ASAN_OPTIONS="detect_leaks=0"))
    assert re.search(r"forward.users = \(set\)", shown.stdout), shown.stdout
    places = {"stderr": sluice.stderr(), "status": sluice.ctl("status").stdout.encode(),
              "status --json": sluice.ctl("status", "--json").stdout.encode(),
              "--show-config": (shown.stdout + shown.stderr).encode()}
    pids = sluice.all_pids()
    assert len(pids) >= 4, children(sluice.process.pid)
    for pid in pids:
        for name in ("cmdline", "environ", "comm"):
            with open("/proc/%d/%s" % (pid, name), "rb") as f:
                places["%s of %d" % (name, pid)] = f.read()
    for secret in SECRETS:
        for place, data in places.items():
            assert secret.encode() not in data, "%s in %s" % (secret, place)


def test_own_host_name(ctx):
    """A client with our own name is answered, and we say what to change."""
    sluice = ctx.sluice(options={"forward.shared_key": KEY, "self.host": "aggregator-9"})
    client = sluice.connect(hostname="aggregator-9")
    helo = client.helo()
    client.send(client.ping(helo, KEY))
    equal(client.receive()[:4], ["PONG", True, "", "aggregator-9"], "PONG")
    sluice.wait_log(r"its host name, aggregator-9, is ours too.*self\.host")
    equal(reason(sluice, key=KEY), "", "another name")
    equal(sluice.stderr().count(b"is ours too"), 1, "lines about it")


def test_long_lists(ctx):
    """As many users and clients as fit into the options reach the receiver, at start and SIGHUP."""
    users = [{"name": "user-%03d" % i, "password": "p%d" % i} for i in range(900)]
    clients = [{"host": "127.20.%d.%d" % (i // 100, i % 100), "users": ["user-%03d" % (i % 900)]}
               for i in range(700)]
    sluice = ctx.sluice(options={"forward.shared_key": KEY, "forward.users": users,
                                 "forward.clients": clients})
    for number in (0, 350, 699):
        source = clients[number]["host"]
        equal(reason(sluice, source=source, key=KEY, user=("user-%03d" % number, "p%d" % number)),
              "", source)
        equal(reason(sluice, source=source, key=KEY, user=("user-700", "p700")), NO_USER, source)
    sluice.options["forward.users"] = users = users[::-1]
    sluice.write_config()
    taken_up(sluice, "with forward.shared_key, 700 clients in forward.clients, 900 users")
    equal(reason(sluice, key=KEY, user=("user-899", "p899")), "", "after SIGHUP")
    sluice.options["forward.users"] = users * 2
    sluice.write_config()
    hangup(sluice, "reload: .*forward.users: the list takes more than 32768 bytes")
    equal(reason(sluice, key=KEY, user=("user-899", "p899")), "", "after a list too long")

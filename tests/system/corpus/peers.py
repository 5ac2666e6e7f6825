"""Who may ask what: this host over loopback and over its own addresses, and another host."""

from scenario import Case, exit_of_daemon, hear, hear_reply, say, survival_of_daemon
from wire import alive, dump, frame, kill, names, port_please, stop

LOCAL_PEERS = ("127.0.0.1", "127.0.0.5", "::1", "own address", "own address over IPv6")
REMOTE_PEERS = ("another host", "another host over IPv6")
RELAXED = ("-relaxed_command_check",)


def cases():
    requests = {
        "register": alive("n"),
        "register in version 5": alive("n", highest=5),
        "look up": port_please("n"),
        "list": names(),
        "dump": dump(),
        "stop": stop("n"),
        "kill": kill(),
        "unknown": frame(b"Q"),
        "a name too long": alive("n" * 256),
        "a malformed registration": frame(b"xabc"),
        "a registration and more": alive("n") + b".",
        "length 0": frame(b""),
    }
    for peer in LOCAL_PEERS + REMOTE_PEERS:
        for what, request in requests.items():
            for title, flags in (("strict", ()), ("relaxed", RELAXED)):
                if title == "relaxed" and what not in ("register", "dump", "stop", "kill"):
                    continue
                steps = [say(request), hear()]
                if title == "relaxed" and what == "stop" and peer in LOCAL_PEERS:
                    steps = [say(alive("n"), "node"), hear_reply(6, "node"), *steps, hear("node")]
                outcome = (
                    exit_of_daemon()
                    if what == "kill" and peer in LOCAL_PEERS
                    else survival_of_daemon()
                )
                yield Case(
                    f"{title}: {what} from {peer}",
                    [*steps, outcome],
                    own=True,
                    flags=flags,
                    peer=peer,
                )

"""Real Erlang nodes. Each has its own home and cookie, and evaluates one expression a line from its
stdin.
"""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue

from deadlines import scaled, wait_for

COOKIE = "portolan_test"
ANSWER = "=> "

# Reads expressions until stdin ends, then halts; so a node never outlives the test that started it.
EVALUATE_LINES = """
spawn(fun() ->
    Answer = fun(Value) -> io:format("=> ~0tp~n", [Value]) end,
    Answer(ready),
    (fun Loop() ->
        case io:get_line("") of
            Line when is_list(Line) ->
                {ok, Tokens, _} = erl_scan:string(Line),
                {ok, Expressions} = erl_parse:parse_exprs(Tokens),
                Answer(try element(2, erl_eval:exprs(Expressions, []))
                       catch Class:Reason -> {Class, Reason} end),
                Loop();
            _ -> halt()
        end
    end)()
end).
"""


def missing():
    """Why no Erlang node can be started here, or None."""
    return None if shutil.which("erl") else "no `erl` on this machine: install erlang-base"


class Node:
    """A running node, ended by its process id. `name` is whole: alive name and host. `through` are
    words before `erl`, which may set ERL_EPMD_PORT where `epmd_port` is None.
    """

    def __init__(self, name, epmd_port, home, *flags, short=False, start_epmd=False, env=None, through=()):
        self.name = name
        home = Path(home) / f"home-{os.urandom(4).hex()}"
        home.mkdir()
        words = [
            *map(str, through),
            "erl",
            "-noshell",
            "-sname" if short else "-name",
            name,
            "-setcookie",
            COOKIE,
            "+S",
            "1:1",
            "+SDio",
            "1",
            *([] if start_epmd else ["-start_epmd", "false"]),
            *flags,
            "-eval",
            EVALUATE_LINES,
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **({} if epmd_port is None else {"ERL_EPMD_PORT": str(epmd_port)}),
            "LC_ALL": "C.UTF-8",
            "ERL_CRASH_DUMP": "/dev/null",
            **(env or {}),
        }
        self.output, self.answers = [], Queue()
        self.process = subprocess.Popen(
            words,
            env=environment,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.output.append(line)
            if line.startswith(ANSWER):
                self.answers.put(line[len(ANSWER) :].rstrip("\n"))
        self.answers.put(None)

    def answer(self, seconds):
        try:
            answer = self.answers.get(timeout=scaled(seconds))
        except Empty:
            raise AssertionError(
                f"no answer from {self.name} in {scaled(seconds):g} s:\n{''.join(self.output)}"
            ) from None
        if answer is None:
            raise AssertionError(f"{self.name} ended:\n{''.join(self.output)}")
        return answer

    def started(self):
        assert self.answer(30) == "ready"
        return self

    def evaluate(self, expression, seconds=20):
        """The value of an Erlang expression, as Erlang prints it."""
        self.ask(expression)
        return self.answer(seconds)

    def ask(self, expression):
        """Lets it begin with an expression; `answer` waits for the value."""
        self.process.stdin.write(f"{expression}.\n")
        self.process.stdin.flush()

    def pings(self, other):
        return self.evaluate(f"net_adm:ping('{other}')") == "pong"

    @property
    def creation(self):
        return int(self.evaluate("erlang:system_info(creation)"))

    @property
    def listening_port(self):
        return int(
            self.evaluate(
                "element(2, inet:port(hd([P || P <- erlang:ports(), "
                '{name, "tcp_inet"} =:= erlang:port_info(P, name), '
                "{error, enotconn} =:= inet:peername(P)])))"
            )
        )

    def names(self, host="127.0.0.1"):
        """What net_adm:names says, as a set of alive names."""
        listed = self.evaluate(
            f'case net_adm:names("{host}") of {{ok, L}} -> [N || {{N, _}} <- L]; E -> E end'
        )
        return set(filter(None, listed.strip("[]").replace('"', "").split(",")))

    def crash(self):
        """Ends it without a goodbye."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it as its operator would."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=scaled(10))
            except subprocess.TimeoutExpired:
                self.crash()
        self.reader.join()
        self.process.stdout.close()

    def ended(self, seconds=20):
        """Waits for it to end by itself; what it printed."""
        wait_for(lambda: self.process.poll() is not None, seconds, f"the end of {self.name}")
        self.reader.join()
        return "".join(self.output)

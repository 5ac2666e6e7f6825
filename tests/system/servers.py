"""RabbitMQ and ejabberd as Debian packages them, one on each host of a site, each with files of its
own. They are installed, or unpacked by scripts/deps.
"""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from daemon import REPOSITORY
from deadlines import scaled, wait_for

UNPACKED = REPOSITORY / "build" / "debian"
LIBRARIES = UNPACKED / "usr" / "lib" / "erlang" / "lib"


def place_of(program):
    """Where it is, or None."""
    for path in (Path("/") / program, UNPACKED / program):
        if os.access(path, os.X_OK):
            return path
    return None


class Server:
    """One server, ended by its process group. What tells it of the front port stands in the file in
    which its user would write that, and nowhere else. `through` are words before its start command,
    such as those of `portolan exec`; then nothing stands in that file but `settings`.
    """

    def __init__(self, site, host, through=(), settings=None, environment=None):
        self.site, self.host = site, host
        self.settings = settings if settings is not None or through else self.SETTINGS
        self.name = f"{self.ALIVE}@{site.name_of(host)}"
        self.home = site.directory / self.name
        self.home.mkdir()
        cookie = self.home / ".erlang.cookie"
        cookie.write_text("ONEPORT")
        cookie.chmod(0o400)
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.home)}
        self.configure()
        self.environment |= environment or {}
        self.output = self.home / "output"
        with open(self.output, "wb") as output, host.entered():
            self.process = subprocess.Popen(
                [*self.as_host(), *map(str, through), *map(str, self.command(*self.START))],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        site.callback(self.stop)

    def as_host(self):
        return map(str, self.site.as_host(self.host))

    def words(self, *words):
        return [*self.as_host(), *map(str, self.command(*words))]

    def started(self):
        wait_for(
            lambda: self.process.poll() is not None or self.SAYS_IT_IS_UP in self.output.read_text(),
            120,
            lambda: self.output.read_text(),
        )
        assert self.process.poll() is None, self.output.read_text()
        return self

    def says(self, *words, environment=None):
        """What a call of its command line that must go well prints."""
        with self.host.entered():
            call = subprocess.run(
                self.words(*words),
                env=self.environment | (environment or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=scaled(120),
            )
        assert call.returncode == 0, (words, call.stdout, call.stderr)
        return call.stdout.strip()

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its scripts leave the node behind
        self.process.wait()


class Rabbit(Server):
    ALIVE = "rabbit"
    START = ["rabbitmq-server"]
    SAYS_IT_IS_UP = "Starting broker... completed"
    SETTINGS = "ERL_EPMD_PORT=4370\n"
    SCRIPTS = place_of("usr/lib/rabbitmq/bin")

    def configure(self):
        settings = self.home / "rabbitmq-env.conf"
        settings.write_text(self.settings or "")
        (self.home / "rabbitmq.conf").write_text("cluster_partition_handling = autoheal\n")
        self.environment |= {
            "ERL_LIBS": str(LIBRARIES),
            "RABBITMQ_CONF_ENV_FILE": str(settings),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1",
        }

    def command(self, program, *words):
        return [self.SCRIPTS / program, *words]

    def ctl(self, *words, **options):
        return self.says("rabbitmqctl", *words, **options)


class Ejabberd(Server):
    ALIVE = "ejabberd"
    START = ["foreground"]
    SAYS_IT_IS_UP = "is started in the node"
    SETTINGS = "export ERL_EPMD_PORT=4370\n"
    SCRIPT = place_of("usr/sbin/ejabberdctl")

    def configure(self):
        for name in ("log", "spool"):
            (self.home / name).mkdir()
        (self.home / "inetrc").touch()
        (self.home / "ejabberd.yml").write_text("hosts: [example.org]\nlisten: []\nmodules: {}\n")
        (self.home / "ejabberdctl.cfg").write_text(self.settings or "")
        # the packaged script, but for who runs it, and for where its libraries are unpacked
        script = self.SCRIPT.read_text()
        self.script = self.home / "ejabberdctl"
        libraries = f"{UNPACKED}/usr/lib/x86_64-linux-gnu:{LIBRARIES}"
        self.script.write_text(
            script.replace("INSTALLUSER=ejabberd\n", "INSTALLUSER=\n").replace(
                "ERL_LIBS='", f"ERL_LIBS='{libraries}:"
            )
        )
        self.script.chmod(0o755)
        self.environment["LD_LIBRARY_PATH"] = f"{UNPACKED}/usr/lib/x86_64-linux-gnu"

    def command(self, *words):
        files = {"config-dir": self.home, "logs": self.home / "log", "spool": self.home / "spool"}
        options = [word for option, path in files.items() for word in (f"--{option}", path)]
        return [self.script, *options, "--node", self.name, *words]

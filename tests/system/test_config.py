"""The configuration as a user meets it: files, variables, flags, what is said of them, and the
documents that list the keys."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

import deadlines
from daemon import BUILD, REPOSITORY, environment, free_port, our_epmd
from deadlines import wait_for

PORTOLAND = str(BUILD / "bin" / "portoland")
EMQX_CONF = Path(__file__).parent / "corpus" / "emqx-4.0.conf"
OF_THE_PLACE = {"node.data_dir", "control.socket"}


def call(*arguments, program=PORTOLAND, cwd="/", **env):
    clean = environment("/nonexistent", **env)
    clean.pop("PORTOLAN_NODE__DATA_DIR")
    return subprocess.run([program, *map(str, arguments)], env=clean, cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=deadlines.scaled(10))


def printed(*arguments, **options):
    """--print-config as JSON: the keys."""
    done = call(*arguments, "--print-config", "--json", **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["keys"]


@pytest.fixture
def conf(tmp_path):
    """Writes a configuration file; returns its path."""
    def write(*lines, name="portolan.conf"):
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path
    return write


def complaint(path, *arguments, **options):
    """What --check-config says is wrong, without the program's name in front of each line."""
    done = call("-c", path, *arguments, "--check-config", **options)
    assert done.returncode == 1
    assert "fine" not in done.stdout
    return [line.removeprefix("portoland: ") for line in done.stderr.splitlines()]


def warned_keys(done):
    """The keys that the warnings are about."""
    return [re.match(r"portoland: \S+:\d+: (\S+) ", line).group(1) for line in done.stderr.splitlines()]


# --- EMQX's file ---

def test_an_emqx_conf_is_accepted_and_what_is_not_ours_is_counted():
    done = call("-c", EMQX_CONF, "--check-config")
    assert done.returncode == 0
    assert warned_keys(done) == ["node.cookie"]  # the one that everybody knows
    settings = [line for line in EMQX_CONF.read_text().splitlines() if line and not line.startswith("#")]
    ours = {"node.name", "node.data_dir", "node.dist_listen_min", "node.dist_listen_max", "log.to", "log.level",
            "node.cookie", "cluster.name", "cluster.discovery", "cluster.autoheal", "cluster.autoclean"}
    ignored = [line for line in settings if line.split(" = ")[0] not in ours]
    listeners = sum(line.startswith("listener.") for line in ignored)
    assert f"{len(ignored)} keys of other programs ignored: listener {listeners}, " in done.stdout
    assert "log.to = both concerns EMQX's log files and is ignored" in done.stdout
    assert done.stdout.endswith("portoland: the configuration is valid, with warnings\n")


def test_an_emqx_conf_with_every_key_in_it_set_is_accepted(conf):
    text = re.sub(r"^# (?=[a-z_0-9.]+ = )", "", EMQX_CONF.read_text(), flags=re.MULTILINE)
    done = call("-c", conf(*text.splitlines()), "--check-config")
    assert done.returncode == 0
    assert warned_keys(done) == ["cluster.static.seeds", "node.cookie"]
    assert re.search(r"keys of other programs ignored: listener 148, zone 57, ", done.stdout)


def test_keys_of_later_releases_of_emqx_4_are_accepted(conf):
    """Those that its 4.0 did not have, in families that are ours too."""
    levels = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
    node, log, cluster = (
        ["backtrace_depth", "etc_dir"],
        ["size", "primary_log_level", "logger_sasl_compatible", "sasl", "error_logger", "single_line", "max_depth",
         "formatter", "formatter.text.date.format", "time_offset", *(f"{level}.file" for level in levels)],
        ["dns.type", "etcd.version", "etcd.ssl", "rlog.role", "db_backend"],
    )
    keys = [f"{family}.{key}" for family, names in (("node", node), ("log", log), ("cluster", cluster)) for key in names]
    done = call("-c", conf(*(f"{key} = x" for key in keys)), "--check-config")
    assert (done.returncode, warned_keys(done)) == (0, [])
    assert f"{len(keys)} keys of other programs ignored: log 18, cluster 5, node 2" in done.stdout


def test_an_emqx_conf_means_what_it_means_to_emqx(tmp_path):
    keys = printed("-c", EMQX_CONF, cwd=tmp_path)
    assert keys["node.name"]["value"] == "emqx@127.0.0.1"
    assert keys["node.data_dir"]["value"] == f"{tmp_path}/data"
    assert (keys["node.dist_listen_min"]["value"], keys["node.dist_listen_max"]["value"]) == (6369, 6369)
    assert (keys["log.level"]["value"], keys["log.to"]["value"]) == ("warn", "console")


def test_a_single_long_line_of_emqx_is_no_trouble(conf):
    path = conf("listener.ssl.external.ciphers = " + "AES256-SHA," * 5000, "epmd.port = 5601")
    assert printed("-c", path)["epmd.port"]["value"] == 5601


# --- what is wrong, and how it is said ---

WRONG = {
    "node.name = emqx@s1": "cannot set node.name to 'emqx@s1': its host name is not fully qualified, so other hosts cannot find "
                           "it; expected Name@Host, such as portolan@192.0.2.1 or portolan@s1.example.com",
    "node.name = emqx": "cannot set node.name to 'emqx': no @ in it; expected Name@Host",
    "node.nmae = a@b.c": "cannot set node.nmae: unknown key; did you mean node.name?",
    "node.proces_limit = 1": "cannot set node.proces_limit: unknown key; did you mean node.process_limit?",
    "epmd.something_else = 1": "cannot set epmd.something_else: unknown key; --print-config lists all keys",
    "epmd.port = 99999": "cannot set epmd.port to '99999': not a valid port; expected a port from 1 to 65535",
    "epmd.packet_timeout = 0": "cannot set epmd.packet_timeout to '0': not a valid time; expected a time above 0",
    "epmd.enable = perhaps": "cannot set epmd.enable to 'perhaps': neither on nor off; expected on or off",
    "node.port_policy = best": "cannot set node.port_policy to 'best': not a valid choice; expected range, derived",
    "epmd.peer_connections = -1": "cannot set epmd.peer_connections to '-1': not a valid number; expected a number from 0",
    "log.level = loud": "cannot set log.level to 'loud': not a valid level; expected error, warn, info, debug or trace",
    "log.to = stdout": "cannot set log.to to 'stdout': not a valid log target; expected console, syslog",
    "log.format = xml": "cannot set log.format to 'xml': not a valid choice; expected text or json",
    "control.socket = x.sock": "cannot set control.socket to 'x.sock': not an absolute path; expected an absolute path",
    "node.data_dir =": "cannot set node.data_dir to '': it is empty; expected the path of a directory",
    "front.address = localhost": "cannot set front.address: 'localhost' is not an IP address; expected IP addresses separated by commas",
    "epmd.port 4369": "cannot read the line: not of the form key = value; comments begin with #",
    "[epmd]": "cannot read the line: not of the form key = value; comments begin with #",
    'log.to = "/var/log/x': 'cannot read the value: unbalanced quotes; put one " at each end, or none',
    "node.name = remsh1@192.0.2.1": "cannot open the front port of node.name remsh1@192.0.2.1: names that "
                                    "begin with remsh have no port",
}


@pytest.mark.parametrize("line", WRONG, ids=str)
def test_an_error_says_where_what_why_and_what_would_be_right(line, conf):
    path = conf("# a comment", line)
    (said,) = complaint(path)
    assert said.startswith(f"{path}:2: {WRONG[line]}")


def test_all_errors_of_a_file_are_told_at_once(conf):
    path = conf(*["node.nmae = x"] * 3, *["epmd.port = none"] * 22)
    said = complaint(path)
    errors = [line for line in said if "cannot set" in line]
    assert len(errors) == 20
    assert said[-1] == "and 5 more errors"


def test_a_range_that_ends_before_it_begins_names_both_keys(conf):
    path = conf("node.dist_listen_min = 9000")
    assert complaint(path) == [f"cannot use the range of ports: node.dist_listen_min is 9000 ({path}:1) and "
                               "node.dist_listen_max is 7369 (the default); the first must not exceed the second"]


def test_a_key_that_is_set_twice_is_warned_of_and_the_last_one_counts(conf):
    path = conf("epmd.port = 1111", "epmd.port = 2222")
    done = call("-c", path, "--check-config")
    assert done.returncode == 0
    assert done.stderr == f"portoland: {path}:2: epmd.port is set again, after line 1; the last value is used\n"
    assert printed("-c", path)["epmd.port"]["value"] == 2222


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    path = tmp_path / "none.conf"
    assert complaint(path) == [f"cannot read the configuration file {path}: No such file or directory; use -c to name another"]


def test_a_daemon_does_not_start_on_a_wrong_file(conf):
    done = call("-c", conf("epmd.port = none"))
    assert done.returncode == 1
    assert "cannot set epmd.port to 'none'" in done.stderr


def test_nothing_to_open_is_an_error(conf):
    (said,) = complaint(conf("front.enable = off"))
    assert said.startswith("no port to open: epmd.enable (the default) and front.enable (")


# --- who wins, and who says so ---

def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(conf):
    path = conf("epmd.port = 1001")
    assert printed()["epmd.port"] == {"value": 4369, "source": "default", "where": None, "default": 4369, "live": False}
    file = printed("-c", path)["epmd.port"]
    assert (file["value"], file["source"], file["where"]) == (1001, "file", f"{path}:1")
    variable = printed("-c", path, PORTOLAN_EPMD__PORT=1002)["epmd.port"]
    assert (variable["value"], variable["source"], variable["where"]) == (1002, "environment", "PORTOLAN_EPMD__PORT")
    for flag in (("-port", "1003"), ("--set", "epmd.port=1003")):
        both = printed(*flag, "-c", path, PORTOLAN_EPMD__PORT=1002)["epmd.port"]
        assert (both["value"], both["source"], both["where"]) == (1003, "flag", flag[0])


def test_variables_have_an_order_among_themselves():
    env = {}
    for number, variable in enumerate(("ERL_EPMD_PORT", "EMQX_EPMD_PORT", "EMQX_EPMD__PORT", "PORTOLAN_EPMD__PORT"), 1):
        env[variable] = 5000 + number
        got = printed(**env)["epmd.port"]
        assert (got["value"], got["where"]) == (5000 + number, variable)


@pytest.mark.parametrize("value, enabled", [("1", True), ("0", False), ("", False), ("on", True)])
def test_with_epmd_opens_the_port_of_epmd(value, enabled):
    assert printed(WITH_EPMD=value)["epmd.enable"]["value"] is enabled


def test_the_text_form_lines_up_and_names_every_source(conf):
    path = conf("node.name = emqx@s1.emqx.io")
    lines = call("-c", path, "-port", "5601", "--print-config", WITH_EPMD=1).stdout.splitlines()
    rows = {line.split()[0]: line.split(maxsplit=2) for line in lines}
    assert rows["node.name"][1:] == ["emqx@s1.emqx.io", f"{path}:1"]
    assert rows["epmd.port"][1:] == ["5601", "-port"]
    assert rows["front.address"][1:] == ['""', "default"]
    assert len({re.match(r"\S+ +", line).end() for line in lines}) == 1
    assert list(rows) == list(printed())


def test_a_debug_flag_is_named_as_the_source_of_the_level():
    assert printed("-d", "-d")["log.level"] | {"default": None} == {
        "value": "trace", "source": "flag", "where": "-d", "default": None, "live": True}


def test_an_almost_right_variable_is_warned_of():
    done = call("--check-config", PORTOLAN_NODE__NMAE="a@b.c")
    assert done.returncode == 0
    assert done.stderr == ("portoland: PORTOLAN_NODE__NMAE: unknown key node.nmae; "
                           "did you mean PORTOLAN_NODE__NAME?\n")


# --- under the name epmd ---

def test_under_the_name_epmd_only_epmd_s_port_is_opened_and_emqx_is_no_concern():
    keys = printed(program=our_epmd(), EMQX_NODE__NAME="nonsense", EMQX_EPMD__PORT=1, WITH_EPMD=0, ERL_EPMD_PORT=5601)
    assert keys["epmd.enable"]["value"] is True and keys["front.enable"]["value"] is False
    assert keys["control.socket"]["value"] == ""
    assert keys["epmd.port"]["value"] == 5601


def in_a_host_with(path, program):
    """--print-config where `path` is the system's configuration file; None where that cannot be
    had."""
    script = ("mount -t tmpfs none /etc && mkdir /etc/portolan && cp \"$1\" /etc/portolan/portolan.conf && "
              "exec \"$2\" --print-config --json")
    started = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if started.returncode != 0:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", str(path), program], capture_output=True, text=True,
                          env=environment("/nonexistent"), timeout=deadlines.scaled(10))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_portoland_reads_the_system_s_file_and_epmd_does_not(conf):
    path = conf("epmd.port = 5601")
    ours = in_a_host_with(path, PORTOLAND)
    assert ours["file"] == "/etc/portolan/portolan.conf"
    assert ours["keys"]["epmd.port"]["where"] == "/etc/portolan/portolan.conf:1"
    epmd = in_a_host_with(path, our_epmd())
    assert (epmd["file"], epmd["keys"]["epmd.port"]["value"]) == (None, 4369)


def test_epmd_reads_a_file_that_is_named(conf):
    assert printed("-c", conf("epmd.port = 5601"), program=our_epmd())["epmd.port"]["value"] == 5601


# --- a reload ---

def test_a_reload_applies_what_it_can_and_names_the_rest(conf, tmp_path):
    front, epmd = free_port(), free_port()
    base = [f"node.dist_base_port = {front}", f"epmd.port = {epmd}", "epmd.enable = on",
            f"control.socket = {tmp_path}/portolan.sock", f"node.data_dir = {tmp_path}"]
    path = conf(*base)
    log = tmp_path / "log"
    with open(log, "wb") as out:
        daemon = subprocess.Popen([PORTOLAND, "-c", "portolan.conf"], cwd=tmp_path, stdout=out, stderr=out,
                                  env=environment(tmp_path), stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: " started " in log.read_text(), 10, "start")
        conf(*base, "node.name = portolan@192.0.2.1", "log.level = debug", "node.dist_listen_max = 6400")
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: log.read_text().count(" reloaded ") == 3, 10, log.read_text())
        conf(*base, "epmd.port = none")
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: f"{path}:6: cannot set epmd.port to 'none'" in log.read_text(), 10, log.read_text())
    finally:
        daemon.terminate()
        assert daemon.wait(timeout=deadlines.scaled(10)) == 0
    lines = [line.split(" reloaded ", 1)[1] for line in log.read_text().splitlines() if " reloaded " in line]
    assert [line.split()[0] for line in lines] == ["key=node.name", "key=node.dist_listen_max", "key=log.level"]
    assert ["restart" in line for line in lines] == [True, False, False]


# --- the documents ---

def example_keys():
    lines = (REPOSITORY / "etc" / "portolan.conf").read_text().splitlines()
    return dict(line[1:].split(" =", 1) for line in lines if re.match(r"#[a-z]+\.[a-z_.]+ =", line))


def test_every_key_of_the_example_is_printed():
    example = (REPOSITORY / "etc" / "portolan.conf").read_text()
    keys = re.findall(r"^#? ?([a-z_]+(?:\.[a-z0-9_]+)+) =", example, re.MULTILINE)
    assert sorted(printed()) == sorted(set(keys)) and "node.name" in keys


def test_the_example_file_is_what_the_table_says():
    assert call("--print-example").stdout == (REPOSITORY / "etc" / "portolan.conf").read_text()


def test_the_manual_s_list_is_what_the_table_says():
    page = (REPOSITORY / "man" / "portolan.conf.5").read_text()
    listed = re.search(r'^\.\\" keys begin[^\n]*\n(.*)^\.\\" keys end', page, re.MULTILINE | re.DOTALL).group(1)
    assert listed == call("--print-mdoc").stdout


def test_the_example_file_and_the_manual_have_each_key_and_its_default():
    keys = printed()
    page = (REPOSITORY / "man" / "portolan.conf.5").read_text()
    assert list(example_keys()) == list(keys) == re.findall(r"^\.It Cm (\S+) Pq ", page, re.MULTILINE)
    for key, default in example_keys().items():
        value = keys[key]["default" if key in OF_THE_PLACE else "value"]
        shown = {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        assert default.strip() == shown


def test_the_example_file_with_every_key_taken_is_fine_and_changes_nothing(conf):
    path = conf(*(f"{key} ={default}" for key, default in example_keys().items()))
    assert call("-c", path, "--check-config").returncode == 0
    taken, untouched = printed("-c", path), printed()
    for key in taken:
        assert taken[key]["source"] == "file"
        if key not in OF_THE_PLACE:
            assert taken[key]["value"] == untouched[key]["value"]


def test_help_lists_every_key():
    text = call("--help").stdout
    for key in printed():
        assert re.search(rf"^    {re.escape(key)}( \(|$)", text, re.MULTILINE)
    assert "--print-mdoc" not in text

"""Every text of help, whole, as it was read and recorded in corpus/help.txt.

    PORTOLAN_RECORD=1   record what is printed now: read the difference before it is committed
"""

import os
import subprocess
from pathlib import Path

from daemon import BUILD, WRAPPER, our_epmd
from deadlines import scaled
from portolan_cli import PORTOLAN, clean_environment, listed_commands

RECORDED = Path(__file__).with_name("corpus") / "help.txt"


def printed(*words):
    call = subprocess.run([*WRAPPER, *words], env=clean_environment(), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=scaled(10))
    assert call.returncode in (0, 1), call  # OTP's epmd exits with 1
    name = " ".join([Path(words[0]).name, *words[1:]])
    return f"$ {name}\n{call.stdout}{call.stderr}\n".replace(str(BUILD / "bin") + "/", "")


def all_texts():
    texts = [printed(PORTOLAN, "help")]
    texts += [printed(PORTOLAN, "help", command) for command in listed_commands()]
    texts += [printed(str(BUILD / "bin" / "portoland"), "--help"), printed(our_epmd(), "-help")]
    return "".join(texts)


def test_help_is_as_it_was_recorded():
    if "PORTOLAN_RECORD" in os.environ:
        RECORDED.write_text(all_texts())
    assert all_texts() == RECORDED.read_text()

"""`python -m tapeline_local.variables {up,demo}`: refuses unknown variables and invalid values.

make passes the variables of its command line as TAPELINE_VARIABLES (its MAKEOVERRIDES).
"""

import difflib
import importlib
import re
import sys
from typing import Final

from tapeline.service.renamed_settings import RenamedSetting, refuse_renamed

from tapeline_local import paths, settings
from tapeline_local.demo.settings import DemoSettings
from tapeline_local.errors import SettingsRefused

SETTINGS: Final[dict[str, type[settings.UpSettings]]] = {"up": settings.UpSettings, "demo": DemoSettings}
# The parts inherit the environment, so the settings of their services are variables too.
SERVICES: Final = {
    "PRODUCER_": "tapeline_producer",
    "SIMULATOR_": "tapeline_simulator",
    "STREAM_": "tapeline_spark",
    "INFERENCE_": "tapeline_inference",
    "BOARD_": "tapeline_board",
    "NOTIFIER_": "tapeline_notifier",
    "TRAINER_": "tapeline_trainer",
}
# Read by `make setup`, which may run before.
_SETUP: Final = ("TAPELINE_JVM",)
_EXIT_CODE: Final = 2
# make escapes white space in a value with a backslash.
_OVERRIDE: Final = re.compile(r"(?:\\.|[^\s\\])+", re.DOTALL)
_ASSIGNMENT: Final = re.compile(r"^(?:export +)?(\w+) *[:?+]?=", re.MULTILINE)


def parse_names(overrides: str) -> list[str]:
    """Return the names of the variables in a value of MAKEOVERRIDES."""
    return [word.partition("=")[0].rstrip(":?+!") for word in _OVERRIDE.findall(overrides)]


def makefile_variables() -> set[str]:
    """Return the variables that the Makefile and versions.env assign."""
    texts = ((paths.CHECKOUT / name).read_text(encoding="utf-8") for name in ("Makefile", "versions.env"))
    return {name for text in texts for name in _ASSIGNMENT.findall(text)}


def known_variables(target: str, names: list[str]) -> set[str]:
    """Return the variables of a target; those of a service only if a name has its prefix."""
    known = settings.fields_of(SETTINGS[target]) | makefile_variables() | set(_SETUP)
    for prefix, package in SERVICES.items():
        if any(name.startswith(prefix) and name not in known for name in names):
            known |= settings.fields_of(importlib.import_module(f"{package}.settings").Settings)
    return known


def check(target: str, overrides: str) -> None:
    """Check the names on the command line of make, then the values.

    Args:
        target: "up" or "demo".
        overrides: value of MAKEOVERRIDES.

    Raises:
        SettingsRefused: a name is unknown or an old one, or a value breaks its rule; the message is one line.
    """
    names = parse_names(overrides)
    try:
        refuse_renamed(dict.fromkeys(names, ""))
    except RenamedSetting as error:
        raise SettingsRefused(str(error)) from error
    known = known_variables(target, names)
    for name in names:
        if name not in known:
            close = ", ".join(
                difflib.get_close_matches(name, sorted(known - makefile_variables() | {"PYTHON"}), cutoff=0.6)
            )
            similar = close or ", ".join(sorted(settings.fields_of(SETTINGS[target])))
            raise SettingsRefused(
                f"variable {name} is unknown; known are {similar}. "
                f"Correct the name, or put a variable of another program before make: {name}=... make {target}"
            )
    settings.load(SETTINGS[target])


def main() -> int:
    """Check the variables of one target; return 2 after a refusal."""
    (target,) = sys.argv[1:]
    try:
        check(target, settings.inherited_environment().get("TAPELINE_VARIABLES", ""))
    except SettingsRefused as error:
        sys.stderr.write(f"make {target}: {error}\n")
        return _EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Every module imports, and help comes before torch does."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import ssal

MODULES = [module.name for module in pkgutil.walk_packages(ssal.__path__, "ssal.") if module.name != "ssal.__main__"]


@pytest.mark.parametrize("module", MODULES)
def test_module_imports(module: str) -> None:
    import_module(module)


def test_command_line_imports_no_torch() -> None:
    code = "import sys, ssal.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

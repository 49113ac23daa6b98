"""What is installed: this package's own files, the libraries it imports, and what runs the network."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping

from sketch_cell.doctor.finding import Finding, missing, ok, warning
from sketch_cell.packages import pip_install

# Module -> what pip calls it. Without these no cell runs.
NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "cv2": "opencv-python-headless",
    "numba": "numba",
    "PIL": "Pillow",
    "serial": "pyserial",
    "yaml": "PyYAML",
    "click": "click",
    "rich": "rich",
}
# Module -> (what pip calls it, what does not work without it).
WANTED = {
    "skimage": ("scikit-image", "mosaics, sweets, the figures of simulate and the demo's own photo"),
    "matplotlib": ("matplotlib", "figures, the gamut of a mosaic and videos of a line"),
    "av": ("av", "videos"),
    "ortools": ("ortools", "exact stock in mosaics"),
    "reportlab": ("reportlab", "the mosaic's build plan as PDF"),
}
# On native ROS 2 these come with pip as well; rosdep brings the others (package.xml).
PIP_ONLY = frozenset({"av", "ortools", "reportlab"})


def package() -> list[Finding]:
    """Whether this package's configuration is where nodes look for it."""
    from sketch_cell.bringup import share_folder

    folder = share_folder()
    if not (folder / "config" / "twin.yaml").is_file():
        return [
            missing(
                "package",
                f"no configuration in {folder / 'config'}",
                "Install the package (make demo, or colcon build) and source install/setup.bash.",
            )
        ]
    return [ok("package", f"sketch_cell's launch files and configuration in {folder}")]


def libraries(
    needed: Mapping[str, str] = NEEDED, wanted: Mapping[str, tuple[str, str]] = WANTED
) -> list[Finding]:
    """Every library imported once: one that is installed but broken is found only so."""
    findings = []
    for module, name in needed.items():
        reason = _trouble(module)
        if reason:
            findings.append(missing("libraries", f"{module}: {reason}", _install(name)))
    for module, (name, use) in wanted.items():
        reason = _trouble(module)
        if reason:
            findings.append(warning("libraries", f"{module}: {reason}; needed for {use}", _install(name)))
    if not findings:
        versions = ", ".join(
            f"{name} {_version(name)}" for name in ("numpy", "opencv-python-headless", "numba")
        )
        findings.append(ok("libraries", f"all {len(needed) + len(wanted)} can be imported ({versions})"))
    return findings


def _install(name: str) -> str:
    if name in PIP_ONLY:
        return pip_install(name)
    return f"{pip_install(name)}; with native ROS 2: rosdep install --from-paths src --ignore-src"


def _trouble(module: str) -> str:
    """Why a module cannot be imported; empty where it can. Broken libraries raise anything."""
    try:
        importlib.import_module(module)
    except Exception as error:
        return f"{error}".splitlines()[0] if str(error) else type(error).__name__
    return ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(its own version)"


def jpeg_repair() -> list[Finding]:
    """One small picture through the network, by whichever of torch and onnxruntime is there."""
    import numpy as np

    from sketch_cell.errors import InputError
    from sketch_cell.picture.deblock import Deblocker

    try:
        deblocker = Deblocker()
        deblocker.repair_on_grid(np.full((16, 16, 3), 128, np.uint8), None)
    except (InputError, ImportError, OSError, RuntimeError) as error:
        return [
            missing("jpeg repair", f"the network does not run: {error}", "pip install --upgrade onnxruntime")
        ]
    return [ok("jpeg repair", f"the network runs on {deblocker.runtime} {_version(deblocker.runtime)}")]

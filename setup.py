"""The ROS 2 package: modules, nodes as executables, and what goes into its share folder."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "sketch_cell"
NODES = [
    "camera_source",
    "deblocker",
    "drawing_controller",
    "job_queue",
    "line_planner",
    "mosaic_planner",
    "picture_source",
    "recorder",
    "stepper_driver",
    "tip_tracker",
    "twin",
    "view",
]
TEST = ["pytest", "pytest-timeout", "hypothesis"]

setup(
    name=PACKAGE,
    version="0.1.0",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={PACKAGE: ["py.typed", "picture/weights/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
        (f"share/{PACKAGE}/config", glob("config/*.*")),
        (f"share/{PACKAGE}/config/security", glob("config/security/*")),
    ],
    python_requires=">=3.10",
    # ROS itself comes from the ROS installation or from requirements.txt, never from here.
    install_requires=["setuptools"],
    extras_require={"test": TEST, "record": ["mcap"], "view": ["rerun-sdk"]},
    zip_safe=False,
    maintainer="sketch_cell maintainers",
    maintainer_email="maintainers@example.com",
    description="A robot cell that turns a photo into something a machine makes",
    license="Apache-2.0",
    entry_points={
        "console_scripts": ["sketch-cell = sketch_cell.cli:main"]
        + [f"{node} = {PACKAGE}.start:main" for node in NODES]
    },
)

"""Shared by all tests: each run has a ROS domain of its own, on this host only, and setters that validate."""

from __future__ import annotations

import os
import sys

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
# Domains 0 to 101 are safe on Linux; runs side by side take different ones.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)

"""The qualities of service of the cell (`doc/multi_host.md` says which topic uses which)."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data

# Kept for whoever joins late: plans, pictures, the job's state.
LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# What a listener that is busy for a moment must not miss of a latched topic: a state that lasts for a single message.
STATES = QoSProfile(
    depth=10,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# Every message counts: motion and joint states.
RELIABLE = QoSProfile(depth=50, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
# Only the newest counts: camera images and what is seen in them.
SENSOR = qos_profile_sensor_data
# A stream whose frames are larger than a camera's: best effort loses many of them, and whoever prefers that may
# still ask for it.
STREAM = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)

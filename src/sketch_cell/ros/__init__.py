"""The only helpers that know ROS."""

"""Detectors behind one protocol, and their registry."""

import sys

# OpenVINO tells its maker of every import, over the network and from a process that one of its threads forks. Where a
# fork meets another thread's product, OpenBLAS waits for good. Without this package OpenVINO takes a stub of its own.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

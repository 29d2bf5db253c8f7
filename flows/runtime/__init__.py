"""What the flows run on: one Prefect server a workspace, started when needed, and `linewright up`.

`server` finds or starts the server that the flows of a process use; `host` is the process that holds it; `up` runs the
servers and the schedules in the foreground; `crashes` tells Prefect which runs died.
"""

"""What flows and commands do, without an orchestrator: each job composes stages and adapters."""

"""Pure numerics over scores and labels: ranking, intervals, thresholds."""

"""Everything that measures methods: metrics, perturbation, statistics, runs."""

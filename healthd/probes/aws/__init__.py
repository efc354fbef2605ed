"""AWS: backups, databases, metrics, logs, load balancers, costs, permissions, certificates."""

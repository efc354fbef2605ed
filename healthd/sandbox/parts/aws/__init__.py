"""An AWS to look at, for any system: moto's server in a process of its own, corrected where it answers unlike AWS.

`account.Aws` starts it; its parts (buckets, databases, metrics, logs, network, identity, costs) set the scene and
change it. Metrics, log lines and ages keep moving by themselves: what was said to be ten minutes old stays so.
"""

"""The configuration files of the measured proxies and of their upstream."""

pytest_plugins = ["b2jobs.testing"]

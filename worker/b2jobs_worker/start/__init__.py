"""What a worker says before its first job: what will not work, and what it cannot start with."""

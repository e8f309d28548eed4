"""What runs on the cluster: one file a stage, each an object with a set-up and a call on a batch."""

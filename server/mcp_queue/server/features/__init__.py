"""The handlers of the protocol's features: tools, resources, prompts, tasks, subscriptions."""

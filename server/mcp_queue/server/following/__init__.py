"""Notifications about changes of jobs, for clients that subscribed to them."""

"""Commands of those who run a deployment: keys, tasks, usage, webhooks, data of users."""

"""Event sourcing on Apache Cassandra: events are stored, state is what they add up to."""

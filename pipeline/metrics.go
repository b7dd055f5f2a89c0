package pipeline

// Metrics are the engine's Prometheus collectors, prefix spoor_. One struct holds them all, pipeline/kafka's
// too, so that the reference table can be generated from it.
type Metrics struct{}

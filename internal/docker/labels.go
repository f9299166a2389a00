package docker

// Labels on the Docker objects that are ours.
const (
	// ManagedLabel is "true" on everything Interlock made except its state.
	ManagedLabel = "com.docker.interlock.managed"
	// StateLabel is on configs that hold state, with the slug of the cluster
	// (or of what else it is about). They are not listed with the others: their
	// data would come along each time.
	StateLabel = "com.docker.interlock.state"
)

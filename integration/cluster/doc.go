// Package cluster runs edri-server processes on this machine's loopback
// interface, for tests, the demo and the benchmark: it builds the binaries,
// finds free ports, starts nodes, waits for them, and kills, pauses, resumes and
// restarts them by their process ids. It never ends a process that it did not
// start.
//
// A Process is any other program beside them, as a worker; its Kill is its owner's.
//
// A Cluster owns its processes until Close, which kills what still runs. On Linux
// a node also dies with the process that started it, however that ends. The
// folder with the data and the logs belongs to the caller.
//
// A Cluster may be used by several goroutines; a single Node's life, start to
// end, is to be directed by one at a time.
package cluster

// Package server puts a node together: configuration, logging, metrics, the
// replicated core of package consensus, the services of package api, and the two
// ports on which they listen. It is the only package that knows all of them.
//
// # Configuration
//
// Every setting is one entry of the table in settings.go: its name, which is at
// once the flag and the key in the YAML file and, in capitals behind EDRI_, the
// environment variable; its default; its bounds; its text. [Load] looks in this
// order and takes the first that has it:
//
//	flag  >  environment  >  YAML file  >  default
//
// and remembers where each value came from, so that an error can name the place
// and [Effective.WriteYAML] can show it.
//
// # Start and stop
//
//	New ── opens ports, then the node (data directory, journal, raft)
//	 │
//	Run ── serves until ctx ends ──▶ not ready ──▶ leadership handed over, node
//	                                 closed ──▶ streams ended, ports closed
//
// A node that cannot trust its storage any more ends the process at once with the
// exit code of its reason (10 to 13, see package consensus): there is nothing left
// that it could do without risk.
package server

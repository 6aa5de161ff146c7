// Command edri-server is one node of an edri cluster.
//
//	edri-server dev    a cluster of one on this machine, to try things out
//	edri-server run    a node of a cluster
//
// Configuration, start and stop are in package server; here are the flags and the
// signals.
package main

// Command bench starts three nodes on this machine, measures appends and scans
// with the command line's own bench, then leader failovers, restarts and memory,
// and ends the nodes. It is what make bench runs.
//
//	bench -bin ./bin [-dir DIR] [-rounds 3] [-duration 3s] [-kills 20] [-only append,read,restart,failover]
package main

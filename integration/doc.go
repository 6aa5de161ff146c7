// Package integration tests edri from outside: real processes on the loopback
// interface, killed, stopped and damaged while others read and write.
//
// The short campaigns run in make test; EDRI_SOAK=1 (make soak) makes them long.
// cluster starts and disturbs the processes, ledger remembers what was
// acknowledged and holds the histories to it; demo and bench are the programs
// behind make demo and make bench.
package integration

// Command edri is the command line of an edri cluster: it appends, imports, reads
// and follows events, and tells how the cluster is.
//
// Every command has a file of its own; app.go has what they share. Data goes to
// standard output, everything else to standard error. Exit codes are in exit.go.
package main

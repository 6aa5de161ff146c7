// Package servertest runs a real node within a test, for programs that are to be tried with
// one: a cluster of one member on the loopback interface, in a folder of the test.
package servertest

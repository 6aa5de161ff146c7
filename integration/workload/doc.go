// Package workload writes to and reads from a cluster while it is disturbed, and
// tells a ledger.Ledger all that it did.
package workload

// Command bench starts three nodes on this machine, measures appends and scans
// with the command line's own bench, then restarts, memory and leader failovers,
// and ends the nodes. It is what make bench runs.
//
//	bench -bin ./bin [-dir DIR] [-rounds 3] [-duration 3s] [-kills 20] [-full 1000000] [-steady 5m]
//	      [-only idle,append,read,restart,memory,failover]
//
// With -only elections it keeps up a load for -steady and counts elections. Eight
// more parts are measured when they are named, each beside its opposite and in
// turn with it: growth (an append after 5 million events and after half a million),
// backup and scrub (appends with and without), replacement (a wiped node of 2
// million events comes back under a steady load), subscriptions (a busy one alone,
// beside 9,999 idle ones, and beside one that is stuck with -full events behind it),
// schedules (how late they fire), timers (appends where -full delayed events wait, and
// where ten do), sleeping (what -sleepers runs of a workflow take that sleep, and how
// long the replay of a run of 10,000 steps takes).
package main

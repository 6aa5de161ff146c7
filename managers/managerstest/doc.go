// Package managerstest is for tests of what implements or uses [managers.Cluster]:
// [Run] is the one suite to which every implementation is held, and [Cluster] one that
// is in memory and needs no server. Only tests import it.
package managerstest

// Package clienttest has a client ready for the suite of clusters (package
// managerstest): whoever has a cluster to reach, over the network or in the same
// process, is held to it in the same way. Only tests import it.
package clienttest

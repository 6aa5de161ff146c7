package cluster

// Node is one edri-server process and the folder that it comes back to.
type Node struct {
	*Process         // Name is n1, n2, ...
	API, Raft string // host:port
	DataDir   string
}

// URL is the node's API URL.
func (n *Node) URL() string { return "http://" + n.API }

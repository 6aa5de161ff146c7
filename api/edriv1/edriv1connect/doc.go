// Package edriv1connect has the services of package edriv1 for connect-go: the
// names of their procedures, clients and handlers. It is generated.
package edriv1connect

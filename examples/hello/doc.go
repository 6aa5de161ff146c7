// Hello is a worker of one small workflow: a whole program, with its test, as docs/workflows.md
// shows it.
//
//	hello       # for the nodes of EDRI_URL, or that of this machine
//	edri workflow start hello --id hello-1 --input '"all"' --wait
package main

// Command trial is a node like edri-server, made from the same parts, about which
// something is as it should not be, or not yet:
//
//	trial run [flags of edri-server run] [--trial-clock-ahead 2s]
//	          [--trial-level 2 [--trial-wrong]] [--trial-hash-interval 500] [--trial-deadly]
//
// Its clock may be wrong. It may be of a version that is to come, with a command
// that edri-server does not know and that every such node sends again and again.
// It may execute that command otherwise than its peers. It may run a manager whose
// handler ends the process. The tests of package integration put it in the place of
// nodes.
package main

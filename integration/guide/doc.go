// Package guide reads the guides that are written in Markdown, for the tests that
// hold them against the programs: the commands of a chapter, in the order in which
// a person types them, the files that it shows, and its tables.
package guide

package core

// canShare says whether there are engines whose stores several processes write
// to. In browsers there are none, and what deals with the others is not linked.
const canShare = false

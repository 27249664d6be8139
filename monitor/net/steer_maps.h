/* SPDX-License-Identifier: Apache-2.0 */
/* steer_maps.h: sizes and names that steer.bpf.c and steer.c agree on. */
#ifndef MAYFLY_NET_STEER_MAPS_H
#define MAYFLY_NET_STEER_MAPS_H

#define STEER_PROGRAM "mayfly_steer" /* at most 15 characters, as the maps' names */
#define STEER_VMS     4096
#define STEER_QUEUES  64
#define STEER_ALL     (1ull << 63) /* in mf_queues, beside the MAC: every frame is for the socket */

#endif

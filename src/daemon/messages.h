/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Message ids of the daemon's journal entries; systemd/vfiod.catalog explains each. */

/* The daemon runs. */
#define VFIOD_MESSAGE_STARTED "a880c63cbc1d4a94a59b70e076703eca"
/* A device is as declared. */
#define VFIOD_MESSAGE_BOUND "b063d81f403e4ec8a02a565ae6984543"
/* A device was given back. */
#define VFIOD_MESSAGE_RELEASED "a337ebc10ee64a12922567f9deb00930"
/* An attempt failed and will be repeated. */
#define VFIOD_MESSAGE_FAILED "9c88a82e06ae4ec792a3c72681e87e7a"
/* A hazard or a fault that someone must see to. */
#define VFIOD_MESSAGE_BLOCKED "62551a830cda4cf685a057ed81840fe9"
/* A kernel write has not returned. */
#define VFIOD_MESSAGE_STUCK "c7683d9cd56e49908a6bbf9f40b4fa3c"
/* Another program keeps moving a device away. */
#define VFIOD_MESSAGE_CONTENDED "c63f68450701430b93832a9b17b7f150"
/* A file is not applied. */
#define VFIOD_MESSAGE_CONFIG_ERROR "72e332ea494848dcb3b9abaaf1d49ad6"
/* The state file cannot be read. */
#define VFIOD_MESSAGE_STATE_BROKEN "170217d18fec4c4e86a0cb56548cc515"
/* Events of udev overran the buffer. */
#define VFIOD_MESSAGE_EVENTS_LOST "6368c1ab2a9d493aa7fe50e59fdec44f"
/* Not all devices are as declared. */
#define VFIOD_MESSAGE_DEGRADED "57aa7e31445c4ef2a15582568d2682f3"
/* A caller was not authorised. */
#define VFIOD_MESSAGE_DENIED "6b80a0c610bc4466b0cab2f632efe6a2"

"""What the console computes; none of it knows a terminal."""
